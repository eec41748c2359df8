/** Below the answer of `create_flow_run`: the way to watch the new run. */
import { Button, useExecutionContext } from "@graphiql/react";
import type { ExecutionResult } from "graphql";
import { useEffect, useState, useSyncExternalStore } from "react";
import { example } from "./examples";
import { useOpenExample } from "./open";

let created: string | undefined;
const listeners = new Set<() => void>();

/** Remember the run that an answer says was created. */
export function noteCreated(result: ExecutionResult): void {
  const run = Object.values(result.data ?? {}).length === 1 ? result.data?.["create_flow_run"] : undefined;
  const id = (run as { id?: unknown } | null | undefined)?.id;
  created = typeof id === "string" ? id : undefined;
  listeners.forEach((listener) => listener());
}

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function CreatedRun() {
  const id = useSyncExternalStore(listen, () => created);
  const open = useOpenExample();
  const { run } = useExecutionContext({ nonNull: true });
  const [opened, setOpened] = useState(false);
  // Runs in a render of its own, after the editors hold the example.
  useEffect(() => {
    if (opened) {
      setOpened(false);
      run();
    }
  }, [opened, run]);
  if (id === undefined) {
    return null;
  }
  const watch = async () => {
    await open(example("watch-run"), { flow_run_id: id });
    created = undefined;
    setOpened(true);
  };
  return (
    <div className="created-run">
      <span>Flow run created.</span>
      <Button type="button" onClick={() => void watch()}>
        Watch it live
      </Button>
    </div>
  );
}
