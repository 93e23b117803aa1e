/** `<decision-said payload="{…}">`: a decision as a sentence. */

import { decisionSentence } from "../live/decisions";

class DecisionSaid extends HTMLElement {
  connectedCallback(): void {
    this.textContent = decisionSentence(JSON.parse(this.getAttribute("payload") ?? "{}"));
  }
}

customElements.define("decision-said", DecisionSaid);
