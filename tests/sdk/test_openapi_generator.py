"""openapi-generator's `python` and `typescript-fetch`: a Java program, and slow, so it is not part of every run."""

import shutil
from pathlib import Path

import pytest

from tests.sdk.conftest import BIN, DOCUMENTS, HOME, check_types, compile_typescript, copy_programs, run, run_programs
from tests.service_process import ServiceProcess

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("java") is None, reason="openapi-generator needs Java, and there is none"),
]

OWN_WARNINGS = (
    "OpenAPI 3.1 support is still in beta",
    # Of a document without any schema, too.
    "Failed to get the schema name: null",
)
"""What it says of itself whatever the document is."""
PROPERTIES = {"python": "packageName=jobtrack_api", "typescript-fetch": "importFileExtension="}
NO_DOCUMENTS = "apis,models,supportingFiles,apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"


def generate(generator: str, document: Path, folder: Path) -> None:
    """Generate a client, without a warning."""
    printed = run(
        *(BIN / "openapi-generator-cli", "generate", "--generator-name", generator, "--input-spec", document),
        *("--output", folder, f"--additional-properties={PROPERTIES[generator]}", f"--global-property={NO_DOCUMENTS}"),
        cwd=folder,
    )
    lines = [line for line in printed.splitlines() if "] WARN" in line or "] ERROR" in line]
    assert [line for line in lines if not any(known in line for known in OWN_WARNINGS)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.stem))
async def test_python(document: Path, tmp_path: Path, service: ServiceProcess) -> None:
    generate("python", document, tmp_path)
    # Its templates are not strict, which its own configuration says: that one holds for them.
    check_types(tmp_path, "--config-file", "pyproject.toml", "-p", "jobtrack_api", strict=False)
    if document.stem == "native":
        copy_programs("openapi_generator_python", tmp_path)
        check_types(tmp_path, "--config-file=", "--follow-imports=silent", "producer.py", "worker.py")
        await run_programs(service, tmp_path, BIN / "python", "producer.py")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.stem))
async def test_typescript_fetch(document: Path, tmp_path: Path, service: ServiceProcess) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "node_modules").symlink_to(HOME / "node_modules")
    generate("typescript-fetch", document, tmp_path / "api")
    if document.stem == "native":
        copy_programs("typescript_fetch", tmp_path)
    compile_typescript(tmp_path)
    if document.stem == "native":
        await run_programs(service, tmp_path, "node", "out/producer.js")
