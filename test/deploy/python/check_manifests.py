"""Holds manifests against Kubernetes' JSON schemas and KServe's published models. Prints what is wrong with each as JSON.

KServe's package describes its resources in classes with tables of attribute types and names. They are read as text: importing
them would want the whole serving stack.
"""
import ast
import importlib.util
import json
import pathlib
import re
import sys

import jsonschema
import kubernetes_validate
import yaml
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

VERSION = "1.37.0"
DEFINITIONS = schema_contents(f"kubernetes-json-schema/v{VERSION}-local-strict/_definitions.json", VERSION)
PRIMITIVES = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "object": {},
    "datetime": {"type": "string"},
    "ResourceQuantity": {"type": ["string", "integer"]},
}


def kserve_models():
    """Class name to ({attribute: type}, {attribute: name in files}, required attributes)."""
    package = pathlib.Path(importlib.util.find_spec("kserve").submodule_search_locations[0])
    models = {}
    for path in (package / "models").glob("*.py"):
        text = path.read_text()
        for node in ast.parse(text).body:
            if not isinstance(node, ast.ClassDef):
                continue
            tables = {
                target.id: ast.literal_eval(statement.value)
                for statement in node.body
                if isinstance(statement, ast.Assign)
                for target in statement.targets
                if target.id in ("openapi_types", "attribute_map")
            }
            required = re.findall(r"Invalid value for `(\w+)`, must not be `None`", text)
            models[node.name] = (tables["openapi_types"], tables["attribute_map"], required)
    return models


MODELS = kserve_models()
KUBERNETES = {name.rsplit(".", 1)[-1]: name for name in DEFINITIONS["$defs"] if ".core.v1." in name or ".meta.v1." in name}
used = {}


def schema_of(kind):
    """The JSON schema of a type in the tables' language, with what it refers to added to `used`."""
    if kind in PRIMITIVES:
        return PRIMITIVES[kind]
    if match := re.fullmatch(r"list\[(.+)\]", kind):
        return {"type": "array", "items": schema_of(match[1])}
    if match := re.fullmatch(r"dict\(str, (.+)\)", kind):
        return {"type": "object", "additionalProperties": schema_of(match[1])}
    if kind in MODELS:
        if kind not in used:
            used[kind] = {}
            types, names, required = MODELS[kind]
            used[kind].update(
                type="object",
                properties={names[attribute]: schema_of(of) for attribute, of in types.items()},
                required=[names[attribute] for attribute in required],
                additionalProperties=False,
            )
        return {"$ref": f"#/$defs/{kind}"}
    # Kubernetes' own types are called V1Container or K8sIoApiCoreV1Container here.
    short = re.sub(r"^(V1|K8sIo\w*?V1)", "", kind)
    return {"$ref": f"{DEFINITIONS['$id']}#/$defs/{KUBERNETES[short]}"} if short in KUBERNETES else {}


def kserve_errors(document):
    version = document["apiVersion"].removeprefix("serving.kserve.io/").capitalize()
    root = schema_of(version + document["kind"])
    registry = Resource.from_contents(DEFINITIONS) @ Registry()
    validator = jsonschema.Draft202012Validator({**root, "$defs": used}, registry=registry)
    errors = validator.iter_errors(document)
    return ["/".join(map(str, error.absolute_path)) + ": " + error.message for error in errors]


def errors_of(document):
    if document["apiVersion"].startswith("serving.kserve.io/"):
        return kserve_errors(document)
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
        return []
    except kubernetes_validate.ValidationError as error:
        return ["/".join(map(str, error.path)) + ": " + error.message]


answers = []
for document in yaml.safe_load_all(pathlib.Path(sys.argv[1]).read_text()):
    metadata = document.get("metadata", {})
    answers.append({"kind": document["kind"], "name": metadata.get("name"), "errors": errors_of(document)})
print(json.dumps(answers))
