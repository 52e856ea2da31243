"""
Object stores: S3, Google Cloud Storage and Azure Blob, by obstore and botocore.

Needs the extra `stores`, which `app.storage.remote.opening` says.
"""
