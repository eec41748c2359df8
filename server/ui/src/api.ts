/** How the page talks to the API: POST for operations, a websocket (graphql-transport-ws) for subscriptions. */
import type { Fetcher, FetcherOpts, FetcherParams, FetcherReturnType } from "@graphiql/toolkit";
import { getOperationAST, parse, type ExecutionResult } from "graphql";
import { createClient, type Client } from "graphql-ws";

export type Headers = Record<string, string>;

const MOST_RESULTS = 200;
const MOST_CHARACTERS = 300_000;
const REDRAW_MILLISECONDS = 80;
const RETRIES = 12;
const FIRST_WAIT_MILLISECONDS = 250;
const LONGEST_WAIT_MILLISECONDS = 5_000;

/** Beside the page, wherever a proxy has put it. */
export const endpoint = new URL("graphql", document.baseURI);

function socketAddress(): string {
  const address = new URL(endpoint);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return address.href;
}

/** Send one operation; rejects with a sentence for the person who reads it. */
export async function post<Data = Record<string, unknown>>(
  params: FetcherParams,
  headers: Headers = {},
): Promise<ExecutionResult<Data>> {
  let answer: Response;
  try {
    answer = await fetch(endpoint, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json", ...headers },
      body: JSON.stringify(params),
    });
  } catch (error) {
    throw new Error(`The server at ${endpoint.href} does not answer (${String(error)}).`);
  }
  const text = await answer.text();
  try {
    return JSON.parse(text) as ExecutionResult<Data>;
  } catch {
    throw new Error(`The server answered with status ${answer.status}, and not with JSON: ${text.slice(0, 200)}`);
  }
}

interface Sink {
  next(value: unknown): void;
  error(error: unknown): void;
  complete(): void;
}

/**
 * The results of a subscription that have come so far, newest first, as one value to show.
 *
 * After a lost connection the operation begins anew, and so does what is shown: nothing appears twice.
 */
class Results {
  private shown: { length: number; result: unknown }[] = [];
  private count = 0;

  add(result: unknown): void {
    this.count += 1;
    this.shown.unshift({ result, length: JSON.stringify(result).length });
    let characters = 0;
    const keep = this.shown.findIndex(({ length }, index) => {
      characters += length;
      return index > 0 && (index >= MOST_RESULTS || characters > MOST_CHARACTERS);
    });
    if (keep > 0) {
      this.shown.length = keep;
    }
  }

  clear(): void {
    this.shown = [];
    this.count = 0;
  }

  view(status: string): object {
    const older = this.count - this.shown.length;
    return {
      subscription: `${status}; ${this.count} result${this.count === 1 ? "" : "s"}, newest first`,
      ...(older > 0 ? { not_shown: `${older} older` } : {}),
      results: this.shown.map(({ result }) => result),
    };
  }
}

function readable(error: unknown): unknown {
  if (error instanceof CloseEvent) {
    return new Error(`The server closed the connection: ${error.reason || "no reason given"} (code ${error.code}).`);
  }
  return error instanceof Event ? new Error("The connection to the server was lost.") : error;
}

function subscribe(params: FetcherParams, headers: Headers, sink: Sink): { unsubscribe(): void } {
  const results = new Results();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let status = "live";
  let over = false;
  const show = () => {
    clearTimeout(timer);
    timer = undefined;
    sink.next(results.view(status));
  };
  const showSoon = () => {
    timer ??= setTimeout(show, REDRAW_MILLISECONDS);
  };
  const client: Client = createClient({
    url: socketAddress(),
    connectionParams: headers,
    retryAttempts: RETRIES,
    // A server that starts again refuses connections at first, which is an error event and no close event.
    shouldRetry: () => true,
    retryWait: (retries) =>
      new Promise((resolve) => setTimeout(resolve, Math.min(FIRST_WAIT_MILLISECONDS * 2 ** retries, LONGEST_WAIT_MILLISECONDS))),
    on: {
      connected: (_socket, _payload, wasRetry) => {
        status = "live";
        if (wasRetry) {
          results.clear();
        }
        showSoon();
      },
      closed: () => {
        if (!over) {
          status = "connection lost, trying again";
          showSoon();
        }
      },
    },
  });
  const end = () => {
    over = true;
    clearTimeout(timer);
    void client.dispose();
  };
  client.subscribe(
    { query: params.query, variables: params.variables as Record<string, unknown>, operationName: params.operationName },
    {
      next: (result) => {
        results.add(result);
        showSoon();
      },
      error: (error) => {
        end();
        sink.error(readable(error));
      },
      complete: () => {
        if (!over) {
          status = "complete";
          show();
          end();
          sink.complete();
        }
      },
    },
  );
  return { unsubscribe: end };
}

function isSubscription({ query, operationName }: FetcherParams): boolean {
  try {
    return getOperationAST(parse(query), operationName)?.operation === "subscription";
  } catch {
    // The server says better what is wrong with the document.
    return false;
  }
}

/** A fetcher for GraphiQL that reports what `onResult` wants to know of each answer. */
export function makeFetcher(onResult: (result: ExecutionResult, headers: Headers) => void): Fetcher {
  return (params: FetcherParams, options?: FetcherOpts): FetcherReturnType => {
    const headers: Headers = options?.headers ?? {};
    if (isSubscription(params)) {
      return { subscribe: (sink: Sink) => subscribe(params, headers, sink) } as unknown as FetcherReturnType;
    }
    return post(params, headers).then((result) => {
      onResult(result, headers);
      return result;
    }) as FetcherReturnType;
  };
}
