"""jobd.supervisor"""
