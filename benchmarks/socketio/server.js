// The peer of `make bench PEERS=1`: Socket.IO 4, a JWT in the handshake, the Redis adapter, one insert before each emit.
// Rooms stand in the token. Configured by PORT, REDIS_URL, DATABASE_URL and SECRET.
"use strict";
const { createServer } = require("node:http");
const { createAdapter } = require("@socket.io/redis-adapter");
const jwt = require("jsonwebtoken");
const { Pool } = require("pg");
const { createClient } = require("redis");
const { Server } = require("socket.io");

const { PORT, REDIS_URL, DATABASE_URL, SECRET } = process.env;
const INSERT = {
  name: "insert",
  text: "INSERT INTO message (room, author, body) VALUES ($1, $2, $3) RETURNING id, created_at",
};

async function main() {
  const pool = new Pool({ connectionString: DATABASE_URL, max: 10 });
  const publisher = createClient({ url: REDIS_URL });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);

  const http = createServer((request, response) => response.end());
  const io = new Server(http, {
    adapter: createAdapter(publisher, subscriber),
    transports: ["websocket"],
    serveClient: false,
  });

  io.use((socket, next) => {
    try {
      socket.data.claims = jwt.verify(socket.handshake.auth.token, SECRET);
      next();
    } catch {
      next(new Error("not authenticated"));
    }
  });

  io.on("connection", (socket) => {
    const { sub, rooms } = socket.data.claims;
    socket.join(rooms);
    socket.on("message", async ({ room, body }, answer) => {
      if (!rooms.includes(room)) return answer({ error: "forbidden" });
      const { rows } = await pool.query({ ...INSERT, values: [room, sub, body] });
      const { id, created_at } = rows[0];
      io.to(room).emit("message", { id, room, author: sub, body, created_at });
      answer({ id });
    });
  });

  http.listen(Number(PORT), "127.0.0.1");
}

main();
