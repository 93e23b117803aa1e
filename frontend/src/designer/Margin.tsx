import { PATTERN_TYPE } from "./Canvas";
import { useDesigner } from "./context";
import { blockById, patternInfo } from "./document";
import { Icon } from "./Icon";
import type { PlacedProblem } from "./problems";

/** The left margin: the patterns to choose from, and what is wrong with the design. */
export function Margin({ goTo }: { goTo(problem: PlacedProblem): void }) {
  const { page } = useDesigner();
  return (
    <aside className="designer-margin" aria-label="Patterns and problems">
      {page.may.change && <Palette />}
      <Problems goTo={goTo} />
    </aside>
  );
}

function Palette() {
  const { page, dispatch } = useDesigner();
  return (
    <section aria-label="Patterns">
      <h2 className="margin-title">Add a block</h2>
      <ul className="palette">
        {Object.keys(page.patterns).map((name) => {
          const info = patternInfo(name);
          return (
            <li key={name}>
              <button
                type="button"
                className="palette-item"
                title={info.about}
                draggable
                onDragStart={(event) => event.dataTransfer.setData(PATTERN_TYPE, name)}
                onClick={() => dispatch({ type: "add", pattern: name })}
              >
                <span className="block-mark">
                  <Icon name={name} />
                </span>
                <span className="block-words">
                  <strong>{info.title}</strong>
                  <span className="palette-about">{info.about}</span>
                </span>
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Problems({ goTo }: { goTo(problem: PlacedProblem): void }) {
  const { design, problems } = useDesigner();
  const nameOf = (problem: PlacedProblem) => {
    if (problem.block) return blockById(design, problem.block)?.data.label || problem.block;
    return problem.connection ? "Connection" : "Design";
  };
  return (
    <section aria-label="Problems" id="problems">
      <h2 className="margin-title">Problems{problems.length > 0 && ` (${problems.length})`}</h2>
      <p className="visually-hidden" role="status">
        {problems.length === 1 ? "1 problem" : `${problems.length} problems`}
      </p>
      {problems.length === 0 && <p className="soft small">None: this design can run.</p>}
      <ul className="problem-list">
        {problems.map((problem, place) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the same rule may be broken twice at one place
          <li key={`${problem.block}${problem.path}${problem.code}${place}`}>
            <button type="button" onClick={() => goTo(problem)}>
              <strong>{nameOf(problem)}</strong>
              <span>{problem.message}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
