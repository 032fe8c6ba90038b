import { type KeyboardEvent, memo, useMemo, useRef, useState } from "react";
import { layerKinds } from "../../recipe/recipe";
import type { LayerReport } from "../../results/report";
import { percent } from "../format";
import { ScrollBox } from "../parts/ScrollBox";
import { strings } from "../strings";
import css from "./Heatmap.module.css";
import { type HeatScale, heatScale } from "./scale";

const text = strings.layers;
/** Beyond this many blocks the cells are too narrow for figures. */
const mostFigures = 16;

interface Props {
  layers: LayerReport[];
  blocks: number;
  /** While the run goes on, the number of blocks that it will quantize; 0 afterwards. */
  coming: number;
  chosen: string | null;
  onChoose: (name: string) => void;
}

/** A grid of buttons, one per block and kind of layer. It is one tab stop; arrow keys move within. */
export function Heatmap({ layers, blocks, coming, chosen, onChoose }: Props) {
  const scale = useMemo(() => heatScale(layers.map((l) => l.relativeError)), [layers]);
  const kinds = useMemo(() => kindsOf(layers), [layers]);
  const at = useMemo(() => new Map(layers.map((l) => [`${l.kind} ${l.block}`, l])), [layers]);
  const grid = useRef<HTMLTableSectionElement>(null);
  const [spot, setSpot] = useState<[row: number, column: number]>([0, 0]);

  function onKeyDown(e: KeyboardEvent) {
    const [row, column] = spot;
    const moves: Record<string, [number, number]> = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      Home: [row, 0],
      End: [row, blocks - 1],
    };
    const to = moves[e.key];
    const button = to && grid.current?.querySelector<HTMLButtonElement>(`[data-spot="${to.join(" ")}"]`);
    if (!to) return;
    e.preventDefault();
    if (button) button.focus();
  }

  return (
    <div className={css.map}>
      <ScrollBox label={text.map}>
        <table className={css.grid} aria-label={text.map} data-figures={blocks <= mostFigures || undefined}>
          <thead>
            <tr>
              <th scope="col">{text.block}</th>
              {Array.from({ length: blocks }, (_, m) => m).map((m) => (
                <th key={m} scope="col">
                  {blocks <= mostFigures || m === 0 || (m + 1) % 5 === 0 ? m + 1 : ""}
                </th>
              ))}
            </tr>
          </thead>
          <tbody ref={grid} onKeyDown={onKeyDown}>
            {kinds.map((kind, row) => (
              <tr key={kind}>
                <th scope="row">{kind}</th>
                {Array.from({ length: blocks }, (_, m) => m).map((m) => {
                  const layer = at.get(`${kind} ${m}`) ?? null;
                  return (
                    <Cell
                      key={m}
                      kind={kind}
                      block={m}
                      row={row}
                      error={layer ? layer.relativeError : null}
                      missing={m < coming ? text.coming : text.notQuantized}
                      name={layer?.name ?? null}
                      level={layer && scale.levelOf(layer.relativeError)}
                      figures={blocks <= mostFigures}
                      chosen={layer !== null && layer.name === chosen}
                      tabStop={spot[0] === row && Math.min(spot[1], blocks - 1) === m}
                      onSpot={setSpot}
                      onChoose={onChoose}
                    />
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollBox>
      <Legend scale={scale} />
    </div>
  );
}

/** The rows: the known kinds of layers, or in an unknown architecture the kinds that occur. */
function kindsOf(layers: readonly LayerReport[]): readonly string[] {
  const known: readonly string[] = layerKinds;
  return layers.every((l) => known.includes(l.kind)) ? known : [...new Set(layers.map((l) => l.kind))];
}

interface CellProps {
  kind: string;
  block: number;
  row: number;
  error: number | null;
  /** Shown where there is no error. */
  missing: string;
  name: string | null;
  level: number | null;
  figures: boolean;
  chosen: boolean;
  tabStop: boolean;
  onSpot: (spot: [number, number]) => void;
  onChoose: (name: string) => void;
}

const Cell = memo(function Cell({ kind, block, row, error, missing, name, level, figures, chosen, tabStop, onSpot, onChoose }: CellProps) {
  const label = text.cell(block + 1, kind, error === null ? missing : percent(error));
  return (
    <td>
      <button
        type="button"
        className={css.cell}
        data-level={level ?? undefined}
        data-spot={`${row} ${block}`}
        aria-label={label}
        title={label}
        aria-pressed={chosen}
        aria-disabled={name === null}
        tabIndex={tabStop ? 0 : -1}
        onFocus={() => onSpot([row, block])}
        onClick={() => name !== null && onChoose(name)}
      >
        {figures && error !== null ? short(error) : ""}
      </button>
    </td>
  );
});

/** Percent in at most four characters. */
function short(error: number): string {
  const value = error * 100;
  return value >= 10 ? value.toFixed(0) : value >= 0.1 ? value.toFixed(1) : "<.1";
}

function Legend({ scale }: { scale: HeatScale }) {
  return (
    <div className={css.legend}>
      <span>{text.legend}</span>
      {scale.from.map((from, level) => (
        <span key={from} className={css.swatch}>
          <span className={css.colour} data-level={level} />≥ {percent(from, 2)}
        </span>
      ))}
    </div>
  );
}
