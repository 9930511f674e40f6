"""jobd.cli"""
