"""What botocore knows of S3 here: all that is asked for, and little else."""

import re
from pathlib import Path

from botocore.session import Session

from app.storage.remote.cloud import s3
from app.storage.remote.cloud.memory import descriptions


def test_every_operation_that_is_asked_for_is_described_as_in_the_whole_description():
    """With the same parameters, of whatever version of botocore is installed."""
    asked = set(
        re.findall(r'"((?:abort|delete|get|head|list|put)_[a-z_]+)"', Path(s3.__file__).read_text())
    )
    assert asked
    session = Session()
    whole = session.create_client("s3", region_name="us-east-1")
    session = Session()
    session.register_component("data_loader", descriptions())
    lean = session.create_client("s3", region_name="us-east-1")

    for method in asked:
        operation = lean.meta.method_to_api_mapping[method]
        shapes = [
            client.meta.service_model.operation_model(operation).input_shape.members
            for client in (lean, whole)
        ]
        assert list(shapes[0]) == list(shapes[1]), method


def test_neither_a_manual_nor_other_services_are_kept():
    """That is what takes the memory."""
    loader = descriptions()

    model = loader.load_service_model("s3", "service-2")

    assert "ListBuckets" not in model["operations"]
    assert not model.get("documentation")
    partitions = loader.load_data("endpoints")["partitions"]
    assert all(set(partition["services"]) <= {"s3"} for partition in partitions)
