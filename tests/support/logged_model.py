"""A model that somebody logs to MLflow, as a notebook does, and what its servers answer."""

from __future__ import annotations

from tests.support.models import NAMESPACE, Asker, with_mlflow

NAME = "sizes"
HOST = f"{NAME}.{NAMESPACE}.svc.cluster.local:8080"
# What a notebook would run. The platform's image has no humanize.
NOTEBOOK = """
import sys
import mlflow, pandas
greeting, *requirements = sys.argv[1:]
class Sizes(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        import humanize
        return [f"{greeting} {humanize.naturalsize(each)}" for each in model_input["bytes"]]
example = pandas.DataFrame({"bytes": [1000.0]})
with mlflow.start_run():
    version = mlflow.pyfunc.log_model(
        name="model", python_model=Sizes(), signature=mlflow.models.infer_signature(example, ["1 kB"]),
        pip_requirements=requirements, registered_model_name="sizes",
    ).registered_model_version
mlflow.MlflowClient().set_registered_model_alias("sizes", "champion", str(version))
"""


def log(greeting: str, *requirements: str) -> None:
    """Log a version and make it the champion, with the rights of a program that may decide."""
    with_mlflow(NOTEBOOK, greeting, *requirements)


def said(asker: Asker) -> tuple[str, str]:
    """Ask for the size of a thousand bytes: the version that answered, and its text."""
    tensor = {"name": "bytes", "shape": [1], "datatype": "FP64", "data": [1000.0]}
    status, found = asker.ask(f"/v2/models/{NAME}/infer", {"inputs": [tensor]}, host=HOST)
    return (found["model_version"], found["outputs"][0]["data"][0]) if status == 200 else ("", str(found))
