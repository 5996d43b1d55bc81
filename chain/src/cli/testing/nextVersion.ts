/** `main.ts start` of the application's next version: the same rules, and a migration that doubles the fine for a failure. */
import { APP_VERSION } from "../../app/karatApp.ts";
import { createParamsModule } from "../../modules/params/index.ts";
import { start } from "../start.ts";
import { reportFailure } from "../usage.ts";

const version = APP_VERSION + 1n;
const params = createParamsModule();

try {
  await start(process.argv.slice(3), {
    program: {
      version,
      migrations: new Map([
        [
          version,
          (ctx) => {
            const before = params.get(ctx);
            params.set(ctx, { ...before, failureFine: 2n * before.failureFine });
          },
        ],
      ]),
    },
  });
} catch (error) {
  process.exitCode = reportFailure(error);
}
