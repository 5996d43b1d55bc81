/** The page of an empty list. */
export const NO_PAGE = { next_key: null, total: "0" };
