/** A small bar chart. */
interface Props {
  title: string;
  unit: string;
  values: [string, number][];
}

export function Bars({title, unit, values}: Props) {
  const largest = Math.max(...values.map(([, value]) => value), 1e-9);
  const label = values.map(([name, value]) => `${name} ${value.toFixed(1)} ${unit}`).join(', ');
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <div role="img" aria-label={label} class="chart">
        {values.map(([name, value]) => (
          <div key={name}>
            <span>{name}</span>
            <span class="figure">{value.toFixed(1)} {unit}</span>
            <div class="bar" style={{width: `${(100 * value) / largest}%`}} />
          </div>
        ))}
      </div>
    </figure>
  );
}
