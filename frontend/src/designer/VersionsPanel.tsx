import htmx from "htmx.org";
import { useEffect, useRef, useState } from "react";
import { designApi } from "../api";
import { act } from "../elements/acting";
import { notifyError } from "../elements/notices";
import type { VersionSummary } from "../types";
import { useDesigner } from "./context";

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
  const { page, dispatch } = useDesigner();
  const [isOpen, setOpen] = useState(false);
  const take = async () => {
    const { document } = await designApi.getVersion(page.design_id, version.number);
    dispatch({ type: "replace", design: document });
  };
  return (
    <details className="agent-card" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <strong>Version {version.number}</strong>
        <relative-time class="soft small" datetime={version.created_at} />
        <span className="soft small">{version.created_by}</span>
      </summary>
      {isOpen && <DraftDifferences version={version.number} />}
      {page.may.change && (
        <button type="button" className="button small" onClick={(event) => void act(event.currentTarget, take)}>
          Take version {version.number} as the draft
        </button>
      )}
    </details>
  );
}

/** Told by the site, of the draft as it is saved: each save asks again. */
function DraftDifferences({ version }: { version: number }) {
  const { page, revision } = useDesigner();
  const place = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the answer is another one after each save
  useEffect(() => {
    const address = `/designs/${page.design_id}/versions/${version}/differences`;
    if (place.current) void htmx.ajax("get", address, { target: place.current });
  }, [page.design_id, version, revision]);
  return <div ref={place} role="status" className="small" />;
}
