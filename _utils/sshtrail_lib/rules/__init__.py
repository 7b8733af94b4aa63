"""
The wing of audit rules: their language, their bytes, their files, what to change, and the kernel that holds them.
"""
