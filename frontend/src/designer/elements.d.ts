import type { DetailedHTMLProps, HTMLAttributes } from "react";
import type { SchemaForm } from "../elements/schema_form";

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "schema-form": DetailedHTMLProps<HTMLAttributes<SchemaForm>, SchemaForm> & { "data-path"?: string };
      "relative-time": DetailedHTMLProps<HTMLAttributes<HTMLElement>, HTMLElement> & {
        class?: string;
        datetime: string;
      };
    }
  }
}
