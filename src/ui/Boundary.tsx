import { Component, type ReactNode } from "react";
import { strings } from "./strings";

/** Catches an error of ours while the page is drawn, and shows a sentence and a button to reload instead of a blank page. */
export class Boundary extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false };

  static getDerivedStateFromError() {
    return { broken: true };
  }

  override render() {
    if (!this.state.broken) return this.props.children;
    return (
      <main>
        <p role="alert">{strings.broken}</p>
        <button type="button" onClick={() => location.reload()}>
          {strings.reload}
        </button>
      </main>
    );
  }
}
