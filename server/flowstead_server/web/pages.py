"""The page at the address of the API where there is no playground, or no browser. It loads nothing from anywhere."""

from html import escape

HTML = b"text/html; charset=utf-8"


def start_page(version: str) -> bytes:
    """Return a page that says what is here and how to ask it something."""
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Flowstead</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:4rem auto;padding:0 1rem}}
code,pre{{background:#f3f3f3;padding:.1rem .3rem}}pre{{padding:1rem;overflow:auto}}
@media(prefers-color-scheme:dark){{body{{background:#181818;color:#eee}}code,pre{{background:#2a2a2a}}}}</style></head>
<body>
<h1>Flowstead {escape(version)}</h1>
<p>This is the GraphQL API. Programs send <code>POST</code> requests to this address; subscriptions use a websocket with
the subprotocol <code>graphql-transport-ws</code>. <a href="/health">Health</a></p>
<pre>curl -H 'Content-Type: application/json' \\
  -d '{{"query": "{{ flow_run(limit: 5, order_by: {{created: desc}}) {{ id name state }} }}"}}' \\
  <span id="here">http://localhost:4200</span></pre>
<script>document.getElementById("here").textContent = location.origin + "/graphql"</script>
</body>
</html>
""".encode()
