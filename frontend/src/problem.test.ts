import { expect, test } from "vitest";
import { ApiError, problemOf } from "./problem";

const answer = (status: number, body: string, type: string) =>
  new Response(body, { status, headers: { "Content-Type": type } });

test("a problem of the API keeps its sentence and its fields", async () => {
  const body = JSON.stringify({
    detail: "Correct the schedule.",
    errors: [{ pointer: "/schedule/cron_expression", code: "invalid", message: "There is no 31 February." }],
  });
  const error = await problemOf(answer(422, body, "application/problem+json"));
  expect(error).toBeInstanceOf(ApiError);
  expect(error.message).toBe("Correct the schedule.");
  expect(error.messageFor("/schedule/cron_expression")).toBe("There is no 31 February.");
  expect(error.messageFor("/limits")).toBeUndefined();
});

test("a proxy's own page becomes a sentence that says what to do", async () => {
  const error = await problemOf(answer(502, "<html>Bad Gateway</html>", "text/html"));
  expect([error.status, error.message]).toEqual([
    502,
    "The site failed. What you typed is kept: try again in a moment.",
  ]);
});

test("JSON that breaks off becomes one too", async () => {
  const error = await problemOf(answer(500, '{"detail": "Half', "application/json"));
  expect(error.message).toContain("try again");
});

test("a session that is over says so", async () => {
  const error = await problemOf(answer(401, '{"detail": "Send a key."}', "application/problem+json"));
  expect(error.message).toContain("Sign in again in another tab");
});
