"""jobd.wiring"""
