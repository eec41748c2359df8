"""Google's and Azure's stores through their own libraries: library-api §15.2, where they are installed.

`pip install 'flowstead[gcp,azure]'`; the servers answer as far as three requests go.
"""

import json
import re

import pytest
from http_stub import http_stub

from prefect.engine.results import AzureResult, GCSResult
from prefect.engine.serializers import JSONSerializer


def use(result):
    assert not result.exists("a/b")
    assert result.write([1]).location == "a/b"
    assert result.exists("a/b")
    assert result.read("a/b").value == [1]
    with pytest.raises(FileNotFoundError):
        result.read("nothing")


def test_google(monkeypatch):
    pytest.importorskip("gcsfs", reason="the extra `gcp` is not installed")
    kept = {}

    def answer(request):
        kind = {"Content-Type": "application/json"}
        name = re.sub(r"^(/download)?/storage/v1/b/box/o/?", "", request.path)
        if request.method == "POST":
            # One part says what the object is called, the other is the object.
            described, data = re.findall(rb"\r?\n\r?\n(.*?)\r?\n--", request.body, re.DOTALL)
            name = json.loads(described)["name"]
            kept[name] = data
        if not name:
            return 200, kind, b"{}"
        if name not in kept:
            return 404, kind, b'{"error": {"code": 404, "message": "No such object"}}'
        if request.query.get("alt") == "media":
            return 200, {}, kept[name]
        size = str(len(kept[name]))
        return 200, kind, json.dumps({"name": name, "bucket": "box", "size": size, "generation": "1"}).encode()

    with http_stub(answer) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        use(GCSResult("box", location="a/b", serializer=JSONSerializer()))


def test_azure():
    pytest.importorskip("adlfs", reason="the extra `azure` is not installed")
    kept = {}
    about = {"ETag": '"1"', "Last-Modified": "Wed, 25 Nov 2026 10:00:00 GMT", "x-ms-blob-type": "BlockBlob"}

    def answer(request):
        name = request.path.removeprefix("/acct/box").lstrip("/")
        if not name:
            empty = b"<EnumerationResults><Blobs></Blobs><NextMarker/></EnumerationResults>"
            return 200, {"Content-Type": "application/xml"}, empty
        if request.method == "PUT":
            kept[name] = request.body
            return 201, about, b""
        if name not in kept:
            return 404, {"x-ms-error-code": "BlobNotFound"}, b""
        if request.method == "HEAD":
            return 200, {**about, "x-ms-creation-time": about["Last-Modified"]}, b""
        size = len(kept[name])
        return 206, {**about, "Content-Range": f"bytes 0-{size - 1}/{size}"}, kept[name]

    with http_stub(answer) as server:
        connection = f"DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=a2V5;BlobEndpoint={server.url}/acct;"
        use(AzureResult("box", connection, location="a/b", serializer=JSONSerializer()))
