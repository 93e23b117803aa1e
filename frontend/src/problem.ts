/** An answer of the API that is no success: RFC 9457, or what stands in for one where the site was not reached. */

export interface FieldProblem {
  /** A JSON pointer into what was sent, as `/schedule/cron_expression`. */
  pointer: string;
  code: string;
  message: string;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  /** A sentence that says what to do. */
  detail: string;
  errors?: FieldProblem[];
  request_id?: string;
  [member: string]: unknown;
}

/** What every call of the API raises. `status` 0: the site was not reached. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(sentenceOf(problem));
    this.name = "ApiError";
  }

  get status(): number {
    return this.problem.status;
  }

  /** What is wrong with one field, by its pointer. */
  messageFor(pointer: string): string | undefined {
    return this.problem.errors?.find((error) => error.pointer === pointer)?.message;
  }
}

const UNREACHABLE: Problem = {
  type: "about:blank",
  title: "The site was not reached",
  status: 0,
  detail: "The site was not reached. What you typed is kept: look at your connection, and try again.",
};

export function unreachable(): ApiError {
  return new ApiError(UNREACHABLE);
}

/** The problem of an answer, whatever its body is: a proxy in between may answer with a page of its own. */
export async function problemOf(response: Response): Promise<ApiError> {
  const type = response.headers.get("Content-Type") ?? "";
  if (type.includes("json")) {
    try {
      return new ApiError({ ...fallback(response), ...((await response.json()) as Partial<Problem>) });
    } catch {
      // It broke off, or was no JSON.
    }
  }
  return new ApiError(fallback(response));
}

function fallback(response: Response): Problem {
  const title = response.statusText || `Status ${response.status}`;
  const detail =
    response.status >= 500
      ? "The site failed. What you typed is kept: try again in a moment."
      : `The site refused this (${response.status}).`;
  return { type: "about:blank", title, status: response.status, detail };
}

/** One text for a person: a session that is over is said as such, since its answer speaks to programs. */
function sentenceOf(problem: Problem): string {
  if (problem.status === 401) {
    return "You are no longer signed in. Sign in again in another tab, and repeat this: what you typed is kept.";
  }
  return problem.detail || problem.title;
}
