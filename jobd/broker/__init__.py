"""jobd.broker"""
