"""jobd.client"""
