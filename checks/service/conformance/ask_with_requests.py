"""Asks for the CVV2 of a request with Python's requests, and prints it.

ask_with_requests.py URL CA TOKEN REQUEST
"""

import sys

import requests

url, ca, token, request = sys.argv[1:]
with open(request, "rb") as file:
    answer = requests.post(
        f"{url}/CardServices/Transaction/V2/GetCVV2",
        data=file.read(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        verify=ca,
        timeout=10,
    )
answer.raise_for_status()
assert answer.headers["Cache-Control"] == "no-store", answer.headers
print(answer.json()["NISrvResponse"]["response_get_cvv2"]["body"]["cvv2"])
