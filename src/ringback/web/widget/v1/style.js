// How the dialog looks. Colours come from v1.js.
export const STYLE = `
button, input, select, dialog { font: var(--font); color: inherit; }
button { border: 0; background: none; cursor: pointer; -webkit-tap-highlight-color: transparent; }
dialog {
  position: fixed; inset: auto; margin: auto; width: 380px; max-width: 100%; max-height: calc(100dvh - 112px); padding: 24px;
  overflow: auto; overscroll-behavior: contain; border: 1px solid var(--line); border-radius: 20px;
  background: var(--ground); color: var(--ink); box-shadow: 0 2px 6px #0b1a331f, 0 24px 64px #0b1a334d;
}
dialog[open] { animation: rise .18s ease-out; }
dialog::backdrop { background: #0b1a3340; }
dialog[data-x=right] { right: 20px; }
dialog[data-x=left] { left: 20px; }
dialog[data-x=center] { left: 0; right: 0; }
dialog[data-y=top] { top: 92px; }
dialog[data-y=bottom] { bottom: 92px; }
dialog[data-y=middle] { top: 0; bottom: 0; }
dialog[data-y=middle][data-x=left] { left: 96px; }
dialog[data-y=middle][data-x=right] { right: 96px; }

.head { display: flex; gap: 12px; align-items: flex-start; }
h2 { flex: 1; margin: 0; font-size: 22px; line-height: 1.25; font-weight: 700; letter-spacing: -.01em; overflow-wrap: anywhere; }
.close { flex: none; margin: -8px -8px 0 0; width: 44px; height: 44px; padding: 10px; border-radius: 50%; color: var(--soft); }
.close:hover, .plain:hover { background: var(--tint); color: var(--ink); }
p { margin: 8px 0 0; color: var(--soft); overflow-wrap: anywhere; }
.message { white-space: pre-line; }
.test { display: inline-block; margin: 12px 0 0; padding: 2px 10px; border-radius: 12px; background: #ffe8a3; color: #4a3500; font-size: 14px; font-weight: 600; }

label { display: block; margin: 18px 0 6px; font-size: 14px; font-weight: 600; }
.pair { display: grid; grid-template-columns: 3fr 2fr; gap: 12px; align-items: end; }
.field, .box { width: 100%; height: 52px; border: 1px solid var(--edge); border-radius: 12px; background: var(--ground); }
.field { display: flex; align-items: stretch; }
.field:focus-within, .box:focus { outline: 3px solid var(--accent); outline-offset: -1px; border-color: var(--accent); }
.field:has([aria-invalid=true]) { border-color: var(--bad); outline-color: var(--bad); }
.field input { flex: 1; min-width: 0; padding: 0 14px; border: 0; border-radius: 12px; background: none; outline: 0; font-size: 18px; font-variant-numeric: tabular-nums; }
.box { padding: 0 12px; }
select.box {
  appearance: none; padding-right: 34px; background: var(--ground) no-repeat;
  background-image: linear-gradient(45deg, transparent 50%, currentColor 0), linear-gradient(-45deg, transparent 50%, currentColor 0);
  background-position: right 20px top 23px, right 14px top 23px; background-size: 6px 6px;
}
.code { position: relative; display: flex; align-items: center; gap: 8px; padding: 0 12px 0 14px; border-right: 1px solid var(--line); border-radius: 11px 0 0 11px; color: var(--soft); white-space: nowrap; }
.code:has(select) { background: var(--tint); }
.code:has(:focus-visible) { outline: 3px solid var(--accent); outline-offset: -1px; }
.code b { color: var(--ink); }
.code i { width: 7px; height: 7px; margin-top: -4px; border: solid; border-width: 0 2px 2px 0; rotate: 45deg; }
.code select { position: absolute; inset: 0; width: 100%; height: 100%; opacity: 0; cursor: pointer; }
option { background: var(--ground); color: var(--ink); }
.error { color: var(--bad); font-size: 14px; font-weight: 500; }
.error:empty, .status:empty, .time:empty { display: none; }

.main {
  display: flex; align-items: center; justify-content: center; gap: 10px; width: 100%; min-height: 52px; margin-top: 20px; padding: 8px 16px;
  border-radius: 12px; background: var(--accent); color: var(--on); font-size: 17px; font-weight: 600; transition: background .15s;
}
.main:hover { background: var(--over); }
.main.end { background: none; border: 1px solid var(--bad); color: var(--bad); }
.main.end:hover { background: var(--bad); color: var(--ground); }
.main[aria-disabled] { opacity: .8; cursor: progress; }
.plain { display: block; width: 100%; min-height: 44px; margin-top: 8px; padding: 6px 12px; border-radius: 12px; color: var(--accent); font-weight: 600; }
.foot { margin-top: 12px; text-align: center; font-size: 14px; }
a { display: inline-block; padding: 2px 4px; border-radius: 4px; color: var(--soft); text-underline-offset: 3px; }
a:hover { color: var(--ink); }

.status { text-align: center; outline: 0; text-wrap: balance; }
.status h3 { margin: 0; font-size: 19px; line-height: 1.3; font-weight: 700; overflow-wrap: anywhere; }
.disc { position: relative; display: grid; place-items: center; width: 76px; height: 76px; margin: 32px auto 28px; border-radius: 50%; background: var(--tint); color: var(--accent); }
.disc svg { width: 34px; height: 34px; }
.disc.live::before, .disc.live::after { content: ""; position: absolute; inset: 0; border: 2px solid var(--accent); border-radius: 50%; opacity: 0; animation: wave 2s ease-out infinite; }
.disc.live::after { animation-delay: 1s; }
.disc.good { background: var(--good); color: var(--ground); }
.disc.bad { color: var(--bad); }
.time { text-align: center; font-weight: 600; font-variant-numeric: tabular-nums; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

@keyframes wave { from { opacity: .7; scale: 1 } to { opacity: 0; scale: 1.55 } }
@keyframes rise { from { opacity: 0; translate: 0 12px } }
@media (max-width: 480px), (max-height: 560px) {
  dialog[data-x] {
    inset: auto 0 0; width: 100%; max-width: 480px; margin: 0 auto; max-height: calc(100dvh - 8px);
    padding: 20px 20px max(20px, env(safe-area-inset-bottom)); border-radius: 20px 20px 0 0; border-bottom: 0;
  }
  .disc { margin: 20px auto; }
}
@media (prefers-color-scheme: dark) { dialog::backdrop { background: #000000a6; } }
@media (prefers-reduced-motion: reduce) { .disc.live::before { opacity: .6; inset: -7px; } }
@media (forced-colors: active) { .main, .disc { border: 2px solid; } }
`;
