import { expect, test } from "vitest";
import type { Json } from "../client";
import { decisionSentence } from "./decisions";

test.each<[Record<string, Json>, string]>([
  [
    {
      by: "router",
      chosen: ["Billing"],
      routes: [{ specialist: "Billing", confidence: 0.92, reason: "It is about a charge." }],
      reason: "It is about a charge.",
    },
    "The router chose Billing, 0.92, because: It is about a charge.",
  ],
  [
    { by: "rule", chosen: ["Billing"], reason: "subject contains invoice" },
    "A rule chose Billing: subject contains invoice",
  ],
  [{ by: "default", chosen: ["Account"], reason: "No route." }, "The default Account was taken: No route."],
  [{ passed: true, score: 8.5 }, "The draft passed with a score of 8.50."],
  [{ passed: false, score: null }, "The draft did not pass."],
  [{ join: "all", branches: [{}, {}], stopped_reason: "done" }, "Joined 2 branches."],
  [
    { join: "any", branches: [{}, {}], stopped_reason: "branches_failed" },
    "Joined 2 branches (any). Ended: branches failed.",
  ],
  [
    { verdict: "retry", judged: "Ann", assignment: 1, feedback: "Too short." },
    "The manager decided: retry the work of Ann on assignment 1. Too short.",
  ],
  [{ reason: "budget", message: "The budget is used up." }, "The budget is used up."],
])("%j is said in a sentence", (payload, sentence) => {
  expect(decisionSentence(payload)).toBe(sentence);
});
