import { type ReactNode, useEffect, useRef, useState } from "react";
import css from "./table.module.css";

/** A box that scrolls sideways when its content is too wide. It takes keyboard focus only while there is something to scroll. */
export function ScrollBox({ label, tall = false, children }: { label: string; tall?: boolean; children: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  const [scrolls, setScrolls] = useState(false);
  useEffect(() => {
    const element = box.current!;
    const look = () => setScrolls(element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1);
    const observer = new ResizeObserver(look);
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    return () => observer.disconnect();
  }, []);
  const reachable = scrolls ? { tabIndex: 0, role: "region", "aria-label": `${label}, scrollable` } : {};
  return (
    <div ref={box} className={tall ? `${css.scroll} ${css.tall}` : css.scroll} {...reachable}>
      {children}
    </div>
  );
}
