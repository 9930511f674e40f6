"""jobd.seams"""
