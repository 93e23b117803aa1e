import { useDesigner } from "./context";
import { lastBlocks } from "./document";
import { Editable, JsonField, TextField } from "./fields";
import { messageAt } from "./problems";

/** What is about the design as a whole. Shown while nothing is selected. */
export function DesignPanel() {
  const { design, problems, dispatch } = useDesigner();
  const own = problems.filter((one) => !one.block && !one.connection);
  const schemaProblem = own.find((one) => one.path.startsWith("/input_schema"))?.message;
  return (
    <div className="stack">
      <h2 className="panel-title">Design</h2>
      <Editable title="The design">
        <TextField
          label="Name"
          path="/name"
          value={design.name}
          problem={messageAt(own, "/name")}
          onChange={(name) => dispatch({ type: "patchDesign", patch: { name }, key: "name" })}
        />
        <TextField
          label="Description"
          path="/description"
          value={design.description ?? ""}
          isLong
          problem={messageAt(own, "/description")}
          onChange={(description) => dispatch({ type: "patchDesign", patch: { description }, key: "description" })}
        />
        <JsonField
          label="Input schema"
          hint="A JSON Schema of type object. It makes the forms, checks every call, and names {{input.…}}. Empty: anything goes."
          path="/input_schema"
          value={design.input_schema}
          problem={schemaProblem}
          onChange={(input_schema) => dispatch({ type: "patchDesign", patch: { input_schema }, key: "input_schema" })}
        />
      </Editable>
      <Output />
    </div>
  );
}

function Output() {
  const { design, dispatch } = useDesigner();
  const last = lastBlocks(design);
  return (
    <section className="stack" aria-label="Output">
      <h3>Output</h3>
      <p className="soft small">
        {last.length === 0 && "Nothing is delivered yet: there is no block."}
        {last.length === 1 && "What the last block delivers:"}
        {last.length > 1 && "A map by label of what the last blocks deliver:"}
      </p>
      <ul className="plain-list">
        {last.map((block) => (
          <li key={block.id}>
            <button
              type="button"
              className="link-button"
              onClick={() => dispatch({ type: "select", selection: { blocks: [block.id] } })}
            >
              {block.data.label || block.id}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
