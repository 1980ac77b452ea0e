// The static site of `make report`: what failed first, then pair, scenario and attack as a tree.
import { existsSync, readFileSync } from "node:fs";

const results = process.env.ALLURE_RESULTS ?? "reports/allure-results";
const categories = `${results}/categories.json`;

export default {
  name: "Safety gate",
  output: "reports/site/allure",
  historyPath: "reports/allure-history.jsonl",
  historyLimit: 50,
  appendHistory: true,
  // Allure 3 reads categories here and not from the results, where Allure 2 looks for them.
  categories: existsSync(categories) ? JSON.parse(readFileSync(categories, "utf8")) : [],
  // What stands in the title and the tree already, and what tells of the machine.
  hideLabels: [
    /^(pair|scenario|attack)$/,
    /^(host|thread|framework|language|package|parentSuite|suite|subSuite)$/,
  ],
  plugins: {
    awesome: {
      options: {
        reportName: "Safety gate",
        reportLanguage: "en",
        defaultSortBy: "status,asc",
        theme: "auto",
        groupBy: ["epic", "feature", "story"],
        singleFile: true, // so that it opens from a disk, without a server
      },
    },
  },
};
