"""Asks for the CVV2 of a request with a generated client, and prints it.

ask_with_generated.py URL CA TOKEN REQUEST, with the folder of `generated_client` in PYTHONPATH
"""

import json
import ssl
import sys

from generated_client.api.default import get_cvv_2
from generated_client.client import AuthenticatedClient
from generated_client.models import GetCvv2Request, GetCvv2Response

url, ca, token, request = sys.argv[1:]
with open(request, encoding="utf-8") as file:
    typed = GetCvv2Request.from_dict(json.load(file))
client = AuthenticatedClient(
    base_url=url, token=token, verify_ssl=ssl.create_default_context(cafile=ca)
)
with client:
    answer = get_cvv_2.sync(client=client, body=typed)
assert isinstance(answer, GetCvv2Response), type(answer)
print(answer.ni_srv_response.response_get_cvv2.body.cvv2)
