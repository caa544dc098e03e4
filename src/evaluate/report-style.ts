/** @file The style sheet of the report page, for desktop, phone, dark mode and print. */

export const REPORT_STYLE = `
:root { --ground: #ffffff; --card: #f6f8fa; --ink: #1f2328; --faded: #59636e; --edge: #d1d9e0; --accent: #0969da; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0d1117; --card: #161b22; --ink: #e6edf3; --faded: #9da7b3; --edge: #30363d; --accent: #4493f8; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif; }
h1 { margin: 0; font-size: 1.8rem; line-height: 1.2; }
h3 { margin: 1.5rem 0 .8rem; font-size: 1rem; }
h2 { margin: 2.5rem 0 1rem; padding-bottom: .3rem; border-bottom: 1px solid var(--edge); font-size: 1.25rem; }
header p, footer p, figcaption { color: var(--faded); }
header p { margin: .3rem 0 0; }
footer { margin-top: 3rem; border-top: 1px solid var(--edge); font-size: .85rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 1rem; margin: 0; }
.tile { padding: 1rem; border: 1px solid var(--edge); border-radius: .6rem; background: var(--card); }
.tile dt { color: var(--faded); font-size: .9rem; }
.tile dd { margin: 0; font-size: 1.6rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile small { display: block; color: var(--faded); font-size: .8rem; font-weight: 400; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 1.5rem; }
figure { margin: 0; }
.charts figure { padding: 1rem; border: 1px solid var(--edge); border-radius: .6rem; }
.charts figure > .scroll { margin: auto 0; }
.charts svg { width: 100%; height: auto; }
figcaption { margin-top: .4rem; font-size: .9rem; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .95rem; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .8rem .45rem 0; border-bottom: 1px solid var(--edge); text-align: left; }
thead th { vertical-align: bottom; }
thead th { color: var(--faded); font-weight: 600; }
tbody th { font-weight: 600; }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); gap: 1rem; }
.mistake { padding: .8rem; border: 1px solid var(--edge); border-radius: .6rem; break-inside: avoid; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .4rem; }
.pair img { width: 100%; height: auto; border-radius: .3rem; background: var(--card); color: var(--faded); font-size: .7rem; }
.mistake strong { color: var(--ink); }
.mistake small { display: block; margin-top: .3rem; overflow-wrap: anywhere; line-height: 1.3; }
.settings { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 0 2.5rem; margin: 0; }
.settings div { display: flex; justify-content: space-between; gap: 1rem; padding: .4rem 0; border-bottom: 1px solid var(--edge); }
.settings dt { color: var(--faded); }
.settings dd { margin: 0; font-variant-numeric: tabular-nums; text-align: right; overflow-wrap: anywhere; }
.paper { padding: .5rem; border: 1px solid var(--edge); border-radius: .6rem; background: #ffffff; }
.paper svg { display: block; width: 100%; min-width: var(--least); height: auto; }
details { margin-top: 1rem; }
summary { cursor: pointer; color: var(--accent); }
pre { overflow-x: auto; padding: 1rem; border-radius: .6rem; background: var(--card); font-size: .8rem; line-height: 1.4; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@media (min-width: 48rem) { th, td { white-space: nowrap; } .charts td { white-space: normal; } }
@media screen and (prefers-color-scheme: dark) {
  .paper { background: #121212; }
  .paper svg { filter: invert(.93) hue-rotate(180deg); }
}
@media (max-width: 36rem) {
  body { padding: 1rem; }
  .charts figure { padding: .6rem; }
  .mistakes { grid-template-columns: 1fr 1fr; gap: .6rem; }
  .mistake { padding: .5rem; }
}
@media print {
  html { font-size: 10.5px; }
  body { max-width: none; padding: 0; font-size: 1rem; }
  h2, h3 { break-after: avoid; }
  h2 { margin-top: 1.8rem; }
  figure, .tile, tr, .settings div { break-inside: avoid; }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); }
  .charts { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem; }
  .mistakes { grid-template-columns: repeat(4, minmax(0, 1fr)); gap: .7rem; }
  .settings { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  .settings div { padding: .2rem 0; }
  .scroll { overflow: visible; }
  th, td { white-space: normal; }
  .paper { break-inside: avoid; }
  .paper svg { min-width: 0; max-height: 24cm; }
  details { display: none; }
}
`;
