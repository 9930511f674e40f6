"""jobd.keeper"""
