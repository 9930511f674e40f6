"""jobd"""
