/** @file Whose word counts about a client's address. */
import { describe, expect, it } from "vitest";
import { ClientAddresses } from "./client-address.ts";

const networks = ["10.0.0.0/8", "192.168.1.7", "2001:db8::/32"];

describe("ClientAddresses", () => {
  const known = new ClientAddresses({ networks, header: "x-forwarded-for" });

  it.each([
    ["nobody forwards", "203.0.113.9", undefined, "203.0.113.9"],
    ["a stranger claims to forward", "203.0.113.9", "198.51.100.1", "203.0.113.9"],
    ["a proxy names its client", "10.1.2.3", "198.51.100.1", "198.51.100.1"],
    ["over an IPv6 socket", "::ffff:10.1.2.3", "198.51.100.1", "198.51.100.1"],
    ["the client forged more", "10.1.2.3", "1.1.1.1, 8.8.8.8, 198.51.100.1", "198.51.100.1"],
    ["two proxies stand in line", "10.1.2.3", "1.1.1.1,198.51.100.1 , 192.168.1.7", "198.51.100.1"],
    ["all are proxies", "10.1.2.3", "10.0.0.1, 10.0.0.2", "10.0.0.1"],
    ["with a port", "10.1.2.3", "198.51.100.1:4711", "198.51.100.1"],
    ["IPv6 with a port", "2001:db8::1", "[2001:4860::8888]:443", "2001:4860::8888"],
    ["plain IPv6", "10.1.2.3", "2001:4860::8888", "2001:4860::8888"],
    ["a proxy that does not know", "10.1.2.3", "198.51.100.1, unknown", "10.1.2.3"],
    ["an empty header", "10.1.2.3", "", "10.1.2.3"],
    ["a proxy outside the list", "192.168.1.8", "198.51.100.1", "192.168.1.8"],
    ["no address at all", "", "198.51.100.1", ""],
  ])("%s", (_, peer, forwarded, client) => expect(known.of(peer, forwarded)).toBe(client));

  it.each([
    ["for=198.51.100.1;proto=https;by=10.1.2.3", "198.51.100.1"],
    ['for=1.1.1.1, For="[2001:4860::8888]:4711"', "2001:4860::8888"],
    ["proto=https; for=198.51.100.1:80", "198.51.100.1"],
    ['for="_hidden"', "10.1.2.3"],
    ["for=198.51.100.1, by=10.1.2.3", "10.1.2.3"],
    ["xfor=198.51.100.1", "10.1.2.3"],
  ])("reads Forwarded: %s", (forwarded, client) => {
    expect(new ClientAddresses({ networks, header: "forwarded" }).of("10.1.2.3", forwarded)).toBe(client);
  });

  it.each(["10.0.0.0/33", "::/129", "10.0.0/8", "example.org", "", "10.0.0.0/", "10.0.0.0/-1", "*"])(
    "refuses the network %j",
    (network) => {
      expect(() => new ClientAddresses({ networks: [network], header: "forwarded" })).toThrow(
        expect.objectContaining({ code: "CONFIG_INVALID", message: expect.stringContaining(`"${network}"`) }),
      );
    },
  );
});
