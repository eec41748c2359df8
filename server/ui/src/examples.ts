/** The saved example operations, and how their variables get values that work on this server. */
import index from "../examples/index.json";
import { post, type Headers } from "./api";

export interface Example {
  file: string;
  title: string;
  about: string;
  variables: Record<string, unknown>;
}

export interface Group {
  title: string;
  examples: Example[];
}

export interface Filled {
  query: string;
  variables: string;
}

const documents = import.meta.glob<string>("../examples/*.graphql", { query: "?raw", import: "default", eager: true });

export const groups: Group[] = index;

const all = groups.flatMap((group) => group.examples);

/** The example of a file name. */
export function example(file: string): Example {
  const found = all.find((candidate) => candidate.file === file);
  if (found === undefined) {
    throw new Error(`There is no example ${file}.`);
  }
  return found;
}

export function documentOf({ file }: Example): string {
  return documents[`../examples/${file}.graphql`] ?? "";
}

interface Flow {
  id: string;
  flow_group_id: string;
  parameters: { name: string; default?: unknown }[] | null;
}

interface Newest {
  flow: Flow[];
  flow_run: { id: string }[];
}

const NEWEST = `query newest {
  flow(where: { archived: { _eq: false } }, order_by: { created: desc }, limit: 50) { id flow_group_id parameters }
  flow_run(order_by: { created: desc }, limit: 1) { id }
}`;
const NO_FLOW = "id of a flow; none is registered yet";
const NO_RUN = "id of a flow run; there is none yet";
const TEN_MINUTES = 600_000;

async function newest(headers: Headers): Promise<Newest> {
  try {
    const answer = await post<Newest>({ query: NEWEST }, headers);
    return answer.data ?? { flow: [], flow_run: [] };
  } catch {
    // The example is worth reading without values too; running it says what is wrong.
    return { flow: [], flow_run: [] };
  }
}

function newKey(): string {
  // Not crypto.randomUUID, which exists on encrypted pages only.
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return `playground-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function valuesFrom({ flow: flows, flow_run: runs }: Newest): Record<string, unknown> {
  const parametrized = flows.find((flow) => flow.parameters?.length) ?? flows[0];
  return {
    "<flow>": flows[0]?.id ?? NO_FLOW,
    "<flow group>": flows[0]?.flow_group_id ?? NO_FLOW,
    "<flow run>": runs[0]?.id ?? NO_RUN,
    "<flow with parameters>": parametrized?.id ?? NO_FLOW,
    "<its parameters>": Object.fromEntries(
      (parametrized?.parameters ?? []).map((parameter) => [parameter.name, parameter.default ?? null]),
    ),
    "<in ten minutes>": new Date(Date.now() + TEN_MINUTES).toISOString(),
    "<new key>": newKey(),
  };
}

/** Put the newest flow and flow run of this server, or `given` variables, into an example. */
export async function fill(item: Example, headers: Headers, given: Record<string, unknown> = {}): Promise<Filled> {
  const asks = /"<[^>]*(flow|parameters)[^>]*>"/.test(JSON.stringify({ ...item.variables, ...given }));
  const values = valuesFrom(asks ? await newest(headers) : { flow: [], flow_run: [] });
  const variables = JSON.stringify({ ...item.variables, ...given }, (_key, value: unknown) =>
    typeof value === "string" && value in values ? values[value] : value,
  );
  const filled = JSON.parse(variables) as Record<string, unknown>;
  return {
    query: documentOf(item),
    variables: Object.keys(filled).length ? JSON.stringify(filled, null, 2) : "",
  };
}
