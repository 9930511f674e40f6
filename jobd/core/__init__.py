"""jobd.core"""
