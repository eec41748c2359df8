/** The page: GraphiQL, with examples, on the API of the server that sent it. */
import { useEditorContext, usePluginStore, type GraphiQLPlugin } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { useEffect } from "react";
import { createRoot } from "react-dom/client";
import { makeFetcher } from "./api";
import { CreatedRun, noteCreated } from "./created-run";
import { example, fill, type Filled } from "./examples";
import { EXAMPLES } from "./examples-panel";
import { storage } from "./storage";
import "./style.css";

const PANEL = "flowstead:panel";
const plugins = [EXAMPLES];
const fetcher = makeFetcher(noteCreated);

function rememberPanel(panel: GraphiQLPlugin | null): void {
  storage.setItem(PANEL, panel?.title ?? "");
}

/** Opens the panel that was open last, at first the examples. Pressing its button is the only way that GraphiQL has. */
function openPanel(): void {
  const title = storage.getItem(PANEL) ?? EXAMPLES.title;
  const button = title && document.querySelector<HTMLButtonElement>(`[aria-label="Show ${CSS.escape(title)}"]`);
  if (button) {
    button.click();
  }
}

function Brand() {
  const { queryEditor, variableEditor } = useEditorContext({ nonNull: true });
  useEffect(() => queryEditor?.setOption("lineWrapping", true), [queryEditor]);
  useEffect(() => variableEditor?.setOption("lineWrapping", true), [variableEditor]);
  const known = usePluginStore((store) => store.plugins.length > 0);
  useEffect(() => {
    if (known) {
      openPanel();
    }
  }, [known]);
  return <span className="brand">Flowstead</span>;
}

async function start(): Promise<void> {
  const firstVisit = storage.getItem("graphiql:tabState") === null;
  const first: Filled | undefined = firstVisit ? await fill(example("create-run-with-parameters"), {}) : undefined;
  createRoot(document.getElementById("root") as HTMLElement).render(
    <GraphiQL
      {...first}
      fetcher={fetcher}
      storage={storage}
      plugins={plugins}
      onTogglePluginVisibility={rememberPanel}
      defaultEditorToolsVisibility="variables"
    >
      <GraphiQL.Logo>
        <Brand />
      </GraphiQL.Logo>
      <GraphiQL.Footer>
        <CreatedRun />
      </GraphiQL.Footer>
    </GraphiQL>,
  );
}

void start();
