"""jobd.testing"""
