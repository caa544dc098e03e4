/** @file The part of the report page about groups of people and photographs: error rates at one threshold, and how far they lie apart. */
import { scoreText } from "../artifact/rates.ts";
import { countText } from "../base/log.ts";
import { type AttributeReport, differentialText, rateText } from "./groups.ts";
import { type Html, html, section, table } from "./html.ts";

function attribute({ attribute: name, ungrouped, pairs, ...report }: AttributeReport): Html {
  const rows = pairs.map(({ groups: [a, b], falseMatches, falseNonMatches }) => [
    a === b ? a : `${a} with ${b}`,
    rateText(falseMatches),
    rateText(falseNonMatches),
  ]);
  const differentials = [
    ["False positive differential", report.falsePositiveDifferential],
    ["False negative differential", report.falseNegativeDifferential],
  ] as const;
  const rest = ungrouped === 0 ? undefined : html`<p>${countText(ungrouped)} pairs without a group.</p>`;
  return html`<h3>By ${name}</h3>
${table(`By ${name}`, ["group", "false matches", "false non-matches"], rows)}
<ul>${differentials.map(([title, found]) => html`<li>${title}: ${differentialText(found)}.</li>`)}</ul>${rest}`;
}

/** For whom the model errs more often, at the threshold that holds for all. */
export function groupsSection(reports: readonly AttributeReport[]): Html {
  const [{ threshold }] = reports as readonly [AttributeReport];
  return section(
    "Groups",
    html`<p>All pairs are judged at the threshold ${scoreText(threshold)}. Intervals: 95 %. Differentials as in ISO/IEC 19795-10: the greatest rate within a group over the smallest, and over the geometric mean.</p>`,
    ...reports.map(attribute),
  );
}
