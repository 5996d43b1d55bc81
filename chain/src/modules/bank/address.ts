import { toBech32 } from "@cosmjs/encoding";
import { ADDRESS_PREFIX } from "@karat/common";

export const bech32Of = (address: Uint8Array): string => toBech32(ADDRESS_PREFIX, address);
