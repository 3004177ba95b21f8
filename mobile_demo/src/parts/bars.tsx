/** A small bar chart. */
interface Props {
  title: string;
  unit: string;
  values: [string, number][];
}

const ROW = 28, NAME = 90, WIDTH = 320;

export function Bars({title, unit, values}: Props) {
  const most = Math.max(...values.map(([, value]) => value), 1e-9);
  const label = values.map(([name, value]) => `${name} ${value.toFixed(1)} ${unit}`).join(', ');
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${ROW * values.length}`} role="img" aria-label={label} class="chart">
        {values.map(([name, value], i) => {
          const length = ((WIDTH - NAME - 70) * value) / most;
          return (
            <g key={name} transform={`translate(0 ${i * ROW})`}>
              <text x={NAME - 8} y={ROW / 2} text-anchor="end" dominant-baseline="central">{name}</text>
              <rect x={NAME} y={5} width={Math.max(length, 1)} height={ROW - 10} rx={3} />
              <text x={NAME + length + 6} y={ROW / 2} dominant-baseline="central">{value.toFixed(1)} {unit}</text>
            </g>
          );
        })}
      </svg>
    </figure>
  );
}
