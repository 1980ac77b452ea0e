// Finishes what `allure generate` wrote: one Allure file that asks nobody anything, and an index beside it.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const site = "reports/site";
const link = '<p><a href="allure/index.html">All cases in Allure</a></p>';

// Allure counts its readers with a tracker that no option turns off: it is cut out.
const tracker = /<script async src="https:\/\/www\.googletagmanager\.com[^]*?<\/script>\s*<script>[^]*?<\/script>/;

/** Returns the page with a policy under which only the scripts it holds now run, and nothing is fetched. */
function closed(html) {
  const scripts = [...html.matchAll(/<script(?:\s[^>]*)?>([^]*?)<\/script>/g)];
  const hashes = scripts
    .filter(([, body]) => body.trim())
    .map(([, body]) => `'sha256-${createHash("sha256").update(body).digest("base64")}'`);
  const policy = [
    "default-src 'none'",
    `script-src ${hashes.join(" ")} data: blob:`,
    "style-src 'unsafe-inline' data:",
    "img-src data: blob:",
    "font-src data:",
    "connect-src data: blob:",
    "frame-src blob: data:",
    "form-action 'none'",
    "base-uri 'self'",
  ].join("; ");
  return html.replace(
    /<head>/,
    () => `<head>\n<meta http-equiv="Content-Security-Policy" content="${policy}">`,
  );
}

const allure = `${site}/allure/index.html`;
const cut = readFileSync(allure, "utf8").replace(tracker, "");
if (/<(?:script|link|img)\b[^>]*(?:src|href)="https?:/.test(cut)) {
  throw new Error(`${allure} asks another machine for something: look at what this version of allure writes`);
}
writeFileSync(allure, closed(cut));

const page = "reports/index.html";
const index = existsSync(page)
  ? readFileSync(page, "utf8").replace("<main>", `<main>\n${link}`)
  : `<!doctype html><html lang="en"><meta charset="utf-8"><title>Safety gate</title><h1>Safety gate</h1>${link}</html>\n`;
writeFileSync(`${site}/index.html`, index);
