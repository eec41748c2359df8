/**
 * Stands in for the one part of framer-motion that GraphiQL uses: a row of tabs that can be dragged into another order.
 *
 * The original animates it, which costs a tenth of the page's size.
 */
import { createContext, useContext, useRef, type ComponentPropsWithRef, type RefObject } from "react";

interface GroupProps<Value> extends Omit<ComponentPropsWithRef<"ul">, "values"> {
  values: Value[];
  onReorder: (values: Value[]) => void;
  axis?: "x" | "y";
  layoutScroll?: boolean;
}

interface ItemProps extends Omit<ComponentPropsWithRef<"li">, "value"> {
  value: unknown;
}

interface Row {
  dragged: RefObject<unknown>;
  moveTo: (value: unknown) => void;
}

const RowContext = createContext<Row | null>(null);

function Group<Value>({ values, onReorder, axis: _axis, layoutScroll: _scroll, ...props }: GroupProps<Value>) {
  const dragged = useRef<unknown>(null);
  const moveTo = (value: unknown) => {
    const from = values.indexOf(dragged.current as Value);
    const to = values.indexOf(value as Value);
    if (from >= 0 && to >= 0 && from !== to) {
      const order = [...values];
      order.splice(to, 0, ...order.splice(from, 1));
      onReorder(order);
    }
  };
  return (
    <RowContext value={{ dragged, moveTo }}>
      <ul {...props} />
    </RowContext>
  );
}

function Item({ value, ...props }: ItemProps) {
  const row = useContext(RowContext);
  return (
    <li
      {...props}
      draggable
      onDragStart={(event) => {
        event.dataTransfer.effectAllowed = "move";
        if (row) {
          row.dragged.current = value;
        }
      }}
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        row?.moveTo(value);
      }}
    />
  );
}

export const Reorder = { Group, Item };
