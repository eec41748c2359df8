/**
 * Stands in for the package react-style-singleton: the same interface, over constructed style sheets.
 *
 * The original adds <style> elements, for which the page's Content-Security-Policy would need 'unsafe-inline'.
 */
import { useEffect } from "react";

interface StyleProps {
  styles: string;
  dynamic?: boolean;
}

export function stylesheetSingleton() {
  const sheet = new CSSStyleSheet();
  let users = 0;
  return {
    add(styles: string) {
      if (users === 0) {
        sheet.replaceSync(styles);
        document.adoptedStyleSheets.push(sheet);
      }
      users += 1;
    },
    remove() {
      users -= 1;
      if (users === 0) {
        document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
      }
    },
  };
}

export function styleHookSingleton() {
  const sheet = stylesheetSingleton();
  return (styles: string, dynamic?: boolean): void => {
    useEffect(() => {
      sheet.add(styles);
      return () => sheet.remove();
    }, [styles && dynamic]);
  };
}

export function styleSingleton() {
  const useStyle = styleHookSingleton();
  return function Sheet({ styles, dynamic }: StyleProps): null {
    useStyle(styles, dynamic);
    return null;
  };
}
