"""jobd.worker"""
