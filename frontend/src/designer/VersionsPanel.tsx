import { useEffect, useState } from "react";
import { designApi } from "../api";
import { notifyError } from "../elements/notices";
import type { DesignVersion, VersionSummary } from "../types";
import { useDesigner } from "./context";
import { differences } from "./differences";

const MARKS = { added: "+", removed: "−", changed: "~" };

/** The versions, and what the draft has that one of them has not. */
export function VersionsPanel() {
  const { page } = useDesigner();
  const [versions, setVersions] = useState<VersionSummary[]>();
  useEffect(() => {
    designApi.getVersions(page.design_id).then((found) => setVersions(found.results), notifyError);
  }, [page.design_id]);
  if (!versions) return <p className="soft">Reading the versions…</p>;
  return (
    <div className="stack">
      <h2 className="panel-title">Versions</h2>
      {versions.length === 0 && (
        <p className="soft">None yet. A version is made of the draft when it is deployed or run.</p>
      )}
      {versions.map((version) => (
        <VersionCard key={version.number} version={version} />
      ))}
    </div>
  );
}

function VersionCard({ version }: { version: VersionSummary }) {
  const { page, design, dispatch } = useDesigner();
  const [whole, setWhole] = useState<DesignVersion>();
  const read = () => {
    if (!whole) designApi.getVersion(page.design_id, version.number).then(setWhole, notifyError);
  };
  const found = whole ? differences(whole.document, design) : [];
  return (
    <details className="agent-card" onToggle={read}>
      <summary>
        <strong>Version {version.number}</strong>
        <relative-time class="soft small" datetime={version.created_at} />
        <span className="soft small">{version.created_by}</span>
      </summary>
      {!whole && <p className="soft small">Comparing…</p>}
      {whole && found.length === 0 && <p className="small">The draft is the same, but for places on the canvas.</p>}
      {whole && found.length > 0 && (
        <>
          <p className="small">What the draft changes:</p>
          <ul className="plain-list small">
            {found.map((one) => (
              <li key={one.kind + one.what} className={`difference ${one.kind}`}>
                <span aria-hidden="true">{MARKS[one.kind]}</span> <span className="visually-hidden">{one.kind}: </span>
                {one.what}
              </li>
            ))}
          </ul>
        </>
      )}
      {whole && page.may.change && (
        <button
          type="button"
          className="button small"
          onClick={() => dispatch({ type: "replace", design: whole.document })}
        >
          Take version {version.number} as the draft
        </button>
      )}
    </details>
  );
}
