// `npm run dev`: the page over the made-up market, at http://127.0.0.1:5173/ (PORT to change it).

import { startServer } from "./server.mjs";

const server = await startServer({ port: Number(process.env.PORT ?? 5173) });
console.log(`The page over a made-up market: ${server.url}`);
