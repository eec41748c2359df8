/** The panel beside the editors: what to do here, and the example operations. */
import { Button, type GraphiQLPlugin } from "@graphiql/react";
import { groups } from "./examples";
import { useOpenExample } from "./open";

function ExamplesIcon() {
  return (
    <svg height="1em" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
      <path d="M4 5.5h16M4 12h16M4 18.5h9" strokeLinecap="round" />
      <path d="m16.5 16 4.5 2.5-4.5 2.5z" fill="currentColor" strokeLinejoin="round" />
    </svg>
  );
}

function ExamplesPanel() {
  const open = useOpenExample();
  return (
    <section aria-label="Examples" className="examples">
      <h2 className="examples-heading">Examples</h2>
      <p className="examples-hint">
        Create flow runs and watch them, from here: open an example, and run it with ▶ or <kbd>Ctrl</kbd>{" "}
        <kbd>Enter</kbd>. Its variables name the newest flow or flow run of this server.
      </p>
      {groups.map((group) => (
        <div key={group.title}>
          <h3 className="examples-group">{group.title}</h3>
          <ul>
            {group.examples.map((item) => (
              <li key={item.file}>
                <Button className="example" type="button" onClick={() => void open(item)}>
                  <span className="example-title">{item.title}</span>
                  <span className="example-about">{item.about}</span>
                </Button>
              </li>
            ))}
          </ul>
        </div>
      ))}
      <p className="examples-hint">
        The documentation of the whole API is behind the first icon on the left. If this server wants an API key, put{" "}
        <code>{'{"Authorization": "Bearer KEY"}'}</code> under <em>Headers</em>, below the editor, and reload the schema;
        the key is forgotten when the page closes.
      </p>
    </section>
  );
}

export const EXAMPLES: GraphiQLPlugin = { title: "Examples", icon: ExamplesIcon, content: ExamplesPanel };
