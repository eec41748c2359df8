/** Opens examples in tabs of GraphiQL. */
import { useEditorContext, useExecutionContext } from "@graphiql/react";
import { Kind, parse } from "graphql";
import { useCallback } from "react";
import { flushSync } from "react-dom";
import type { Headers } from "./api";
import { fill, type Example } from "./examples";

/** What the header editor holds; nothing if that is not JSON. */
export function headersFrom(text: string | undefined): Headers {
  try {
    const parsed: unknown = JSON.parse(text || "{}");
    return typeof parsed === "object" && parsed !== null ? (parsed as Headers) : {};
  } catch {
    return {};
  }
}

/** A function that shows an example in the tab that already has it, or in a new one. */
export function useOpenExample() {
  const { addTab, changeTab, tabs, activeTabIndex, queryEditor, variableEditor, headerEditor } = useEditorContext({
    nonNull: true,
  });
  const { stop } = useExecutionContext({ nonNull: true });
  return useCallback(
    async (item: Example, given?: Record<string, unknown>) => {
      const headers = headerEditor?.getValue() ?? "";
      const filled = await fill(item, headersFrom(headers), given);
      const index = tabs.findIndex((tab) => tab.query === filled.query);
      // A subscription that went on would write its results into this tab.
      stop();
      flushSync(() => {
        if (index < 0) {
          addTab();
        } else if (index !== activeTabIndex) {
          changeTab(index);
        }
      });
      // The same caller asks in the new tab.
      headerEditor?.setValue(headers);
      variableEditor?.setValue(filled.variables);
      if (queryEditor) {
        queryEditor.setValue(filled.query);
        // GraphiQL finds these out a moment later; whoever runs the operation at once needs them now.
        const document = parse(filled.query);
        queryEditor.documentAST = document;
        queryEditor.operations = document.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
        queryEditor.operationName = queryEditor.operations[0]?.name?.value ?? null;
        queryEditor.focus();
      }
    },
    [addTab, changeTab, stop, tabs, activeTabIndex, queryEditor, variableEditor, headerEditor],
  );
}
