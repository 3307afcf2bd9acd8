"""One value of the Clef agent: secrets_from_clef.py DB_URL. All names: without an argument. Standard library only."""
import json
import os
import re
import sys
import urllib.request

# Without a proxy, whatever the environment says: the token is for this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(path: str) -> dict[str, str]:
    url = os.environ.get("CLEF_AGENT_URL", "http://127.0.0.1:7779")
    # What stands behind an @ would be the host.
    if not re.fullmatch(r"http://127\.0\.0\.1:[0-9]+", url):
        raise ValueError("The token goes to 127.0.0.1 only: correct CLEF_AGENT_URL")
    # Read each time: the file is replaced when the token is.
    with open(os.environ["CLEF_AGENT_TOKEN_FILE"], encoding="ascii") as file:
        token = file.readline().rstrip("\n")
    request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {token}"})
    with _opener.open(request, timeout=5) as answer:
        return json.load(answer)


def get(key: str) -> str:
    return ask(f"/v1/secrets/{key}")["value"]


def get_all() -> dict[str, str]:
    return ask("/v1/secrets")


if __name__ == "__main__":
    text = get(sys.argv[1]) if len(sys.argv) > 1 else "".join(f"{key}\n" for key in sorted(get_all()))
    sys.stdout.buffer.write(text.encode())
